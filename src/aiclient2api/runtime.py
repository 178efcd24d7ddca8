"""Composition root: a configuration becomes everything that serves it. Start, reload, stop.

Nothing else reads the configuration, and nothing here decides anything about a request.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
import time
from collections.abc import Callable

from msgspec import Struct

from aiclient2api.accounts.account import Account, AccountSettings
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.config.model import AccountConfig, Config
from aiclient2api.gateway.attempt import Attempts
from aiclient2api.gateway.dispatch import Dispatcher, Policy
from aiclient2api.gateway.limits import Admission
from aiclient2api.gateway.listing import Listing
from aiclient2api.gateway.pins import Pins
from aiclient2api.net.pooled import PooledTransport
from aiclient2api.net.transport import Timeouts
from aiclient2api.protocols.base import SystemPrompt
from aiclient2api.protocols.carrier import Carrier
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.registry import converters
from aiclient2api.server.auth import ClientKey, ClientKeys, key_hash
from aiclient2api.server.models import ModelLists
from aiclient2api.server.services import Services
from aiclient2api.store.base import Store
from aiclient2api.telemetry.log import JsonLog, RequestLog
from aiclient2api.telemetry.metrics import Metrics
