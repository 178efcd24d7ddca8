"""Client keys: who may ask, for what and how much; kept in the configuration or shared through the store."""
