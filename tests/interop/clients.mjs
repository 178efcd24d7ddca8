/**
 * The official SDKs for Node.js as clients of a gateway: every protocol, every model of GATEWAY_MODELS, every check.
 * Prints one JSON object: results[client][model][check], where a check that threw is `{ raised: "…" }`.
 */
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const url = process.env.GATEWAY_URL;
const apiKey = process.env.GATEWAY_KEY;
const models = process.env.GATEWAY_MODELS.split(",");

const SYSTEM = "Be brief.";
const QUESTION = "Please call get_weather for me.";
const RESULT = "sunny, 21 degrees";
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen";

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });
const google = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } });

const sum = (texts) => texts.filter(Boolean).join("");

/** What the helpers for streams add to the model's own members is theirs, and not for the API. */
const asSent = (value) =>
  JSON.parse(JSON.stringify(value, (name, member) => (name.startsWith("parsed") ? undefined : member)));

/** A conversation so far: SDK-neutral turns of text. */
const turns = [
  { role: "user", text: "First." },
  { role: "assistant", text: "Noted." },
  { role: "user", text: "Second." },
];

const chat = {
  async unary(model, said) {
    const done = await openai.chat.completions.create({ model, messages: [{ role: "user", content: said }] });
    const [choice] = done.choices;
    return { text: choice.message.content, finish: choice.finish_reason, tokens: done.usage.completion_tokens };
  },
  async stream(model, said) {
    const stream = openai.chat.completions.stream({ model, messages: [{ role: "user", content: said }] });
    const [choice] = (await stream.finalChatCompletion()).choices;
    return { text: choice.message.content, finish: choice.finish_reason };
  },
  async events(model, said) {
    const messages = [{ role: "user", content: said }];
    const stream = await openai.chat.completions.create({ model, messages, stream: true });
    const seen = { text: "", finish: null };
    for await (const chunk of stream) {
      for (const choice of chunk.choices) {
        seen.text += choice.delta.content ?? "";
        seen.finish = choice.finish_reason ?? seen.finish;
      }
    }
    return seen;
  },
  async turns(model) {
    const messages = turns.map(({ role, text }) => ({ role, content: text }));
    messages.unshift({ role: "system", content: SYSTEM });
    const done = await openai.chat.completions.create({ model, messages });
    return { text: done.choices[0].message.content };
  },
  async tool(model, stream) {
    const messages = [{ role: "user", content: QUESTION }];
    const tools = [{ type: "function", function: { name: "get_weather", parameters: SCHEMA } }];
    const asked = { model, messages, tools };
    const first = stream
      ? await openai.chat.completions.stream(asked).finalChatCompletion()
      : await openai.chat.completions.create(asked);
    const [{ message, finish_reason: finish }] = first.choices;
    const [call] = message.tool_calls;
    messages.push(asSent(message), { role: "tool", tool_call_id: call.id, content: RESULT });
    const second = await openai.chat.completions.create(asked);
    const { name, arguments: args } = call.function;
    return { name, arguments: args, finish, text: second.choices[0].message.content };
  },
};

const responses = {
  async unary(model, said) {
    const done = await openai.responses.create({ model, input: said });
    return { text: done.output_text, finish: done.status, tokens: done.usage.output_tokens };
  },
  async stream(model, said) {
    const done = await openai.responses.stream({ model, input: said }).finalResponse();
    return { text: done.output_text, finish: done.status };
  },
  async events(model, said) {
    const seen = { text: "", finish: null };
    for await (const event of await openai.responses.create({ model, input: said, stream: true })) {
      seen.text += event.type === "response.output_text.delta" ? event.delta : "";
      seen.finish = event.response?.status ?? seen.finish;
    }
    return seen;
  },
  async turns(model) {
    const input = turns.map(({ role, text }) => ({ role, content: text }));
    const done = await openai.responses.create({ model, input, instructions: SYSTEM });
    return { text: done.output_text };
  },
  async tool(model, stream) {
    const input = [{ role: "user", content: QUESTION }];
    const tools = [{ type: "function", name: "get_weather", parameters: SCHEMA, strict: false }];
    const asked = { model, input, tools, store: false };
    const first = stream
      ? await openai.responses.stream(asked).finalResponse()
      : await openai.responses.create(asked);
    const call = first.output.find((item) => item.type === "function_call");
    input.push(...first.output.map(asSent), { type: "function_call_output", call_id: call.call_id, output: RESULT });
    const second = await openai.responses.create(asked);
    return { name: call.name, arguments: call.arguments, finish: first.status, text: second.output_text };
  },
};

const textOf = (message) => sum(message.content.map((block) => block.text));

const messages = {
  async unary(model, said) {
    const done = await anthropic.messages.create({
      model,
      max_tokens: 1000,
      messages: [{ role: "user", content: said }],
    });
    return { text: textOf(done), finish: done.stop_reason, tokens: done.usage.output_tokens };
  },
  async stream(model, said) {
    const asked = { model, max_tokens: 1000, messages: [{ role: "user", content: said }] };
    const done = await anthropic.messages.stream(asked).finalMessage();
    return { text: textOf(done), finish: done.stop_reason };
  },
  async events(model, said) {
    const asked = { model, max_tokens: 1000, messages: [{ role: "user", content: said }], stream: true };
    const seen = { text: "", finish: null };
    for await (const event of await anthropic.messages.create(asked)) {
      seen.text += event.delta?.text ?? "";
      seen.finish = event.delta?.stop_reason ?? seen.finish;
    }
    return seen;
  },
  async turns(model) {
    const said = turns.map(({ role, text }) => ({ role, content: text }));
    const done = await anthropic.messages.create({ model, max_tokens: 1000, messages: said, system: SYSTEM });
    return { text: textOf(done) };
  },
  async tool(model, stream) {
    const said = [{ role: "user", content: QUESTION }];
    const tools = [{ name: "get_weather", input_schema: SCHEMA }];
    const asked = { model, max_tokens: 1000, messages: said, tools };
    const first = stream
      ? await anthropic.messages.stream(asked).finalMessage()
      : await anthropic.messages.create(asked);
    const call = first.content.find((block) => block.type === "tool_use");
    said.push(
      { role: "assistant", content: first.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: RESULT }] },
    );
    const second = await anthropic.messages.create(asked);
    const args = JSON.stringify(call.input);
    return { name: call.name, arguments: args, finish: first.stop_reason, text: textOf(second) };
  },
};

const gemini = {
  async unary(model, said) {
    const done = await google.models.generateContent({ model, contents: said });
    const tokens = done.usageMetadata.candidatesTokenCount;
    return { text: done.text, finish: done.candidates[0].finishReason, tokens };
  },
  async events(model, said) {
    const seen = { text: "", finish: null };
    for await (const chunk of await google.models.generateContentStream({ model, contents: said })) {
      seen.text += chunk.text ?? "";
      seen.finish = chunk.candidates?.[0]?.finishReason ?? seen.finish;
    }
    return seen;
  },
  async stream(model, said) {
    const stream = await google.chats.create({ model }).sendMessageStream({ message: said });
    const chunks = await Array.fromAsync(stream);
    return { text: sum(chunks.map((chunk) => chunk.text)), finish: chunks.at(-1).candidates[0].finishReason };
  },
  async turns(model) {
    const roles = { user: "user", assistant: "model" };
    const contents = turns.map(({ role, text }) => ({ role: roles[role], parts: [{ text }] }));
    const config = { systemInstruction: SYSTEM };
    return { text: (await google.models.generateContent({ model, contents, config })).text };
  },
  async tool(model, stream) {
    const declared = [{ name: "get_weather", parametersJsonSchema: SCHEMA }];
    const conversation = google.chats.create({ model, config: { tools: [{ functionDeclarations: declared }] } });
    const chunks = stream
      ? await Array.fromAsync(await conversation.sendMessageStream({ message: QUESTION }))
      : [await conversation.sendMessage({ message: QUESTION })];
    const [call] = chunks.flatMap((chunk) => chunk.functionCalls ?? []);
    const finish = chunks.at(-1).candidates[0].finishReason;
    const answer = { id: call.id, name: call.name, response: { output: RESULT } };
    const second = await conversation.sendMessage({ message: [{ functionResponse: answer }] });
    return { name: call.name, arguments: JSON.stringify(call.args), finish, text: second.text };
  },
};

const clients = { openai_chat: chat, openai_responses: responses, anthropic: messages, gemini };

const checks = {
  unary: (client, model) => client.unary(model, "Hello."),
  stream: (client, model) => client.stream(model, "Hello."),
  events: (client, model) => client.events(model, "Hello."),
  turns: (client, model) => client.turns(model),
  tool: (client, model) => client.tool(model, false),
  "streamed tool": (client, model) => client.tool(model, true),
  "cut stream": (client, model) => client.stream(model, `CUT ${LONG}`),
  "cut events": (client, model) => client.events(model, `CUT ${LONG}`),
  "reset events": (client, model) => client.events(model, `RESET ${LONG}`),
  "error events": (client, model) => client.events(model, `ERROR ${LONG}`),
  "half events": (client, model) => client.events(model, `HALF ${LONG}`),
  "stalled events": (client, model) => client.events(model, `STALL ${LONG}`),
  refused: (client, model) => client.unary(model, "REFUSED"),
};

const results = {};
for (const [name, client] of Object.entries(clients)) {
  results[name] = {};
  for (const model of models) {
    results[name][model] = {};
    for (const [check, run] of Object.entries(checks)) {
      try {
        results[name][model][check] = await run(client, model);
      } catch (error) {
        results[name][model][check] = { raised: `${error.constructor.name}: ${error.message}` };
      }
    }
  }
}
process.stdout.write(JSON.stringify(results));
