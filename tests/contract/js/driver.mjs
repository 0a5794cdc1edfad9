// Runs snippets for the tests: one JSON request a line on stdin, one JSON answer a line on stdout.
// A snippet sees `createClient`, `recorded`, `memory`, `kept`, `url`, `anonKey`, `serviceKey`, `client` (a fresh anon
// client) and `args`.
import { createInterface } from "node:readline";
import * as supabase from "@supabase/supabase-js";

const { MBAAS_URL: url, MBAAS_ANON_KEY: anonKey, MBAAS_SERVICE_KEY: serviceKey } = process.env;
const AsyncFunction = (async () => {}).constructor;

// Nothing outlives a snippet: no stored session, no timers.
function createClient(key = anonKey, options = {}) {
  const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false, ...(options.auth ?? {}) };
  return supabase.createClient(url, key, { ...options, auth });
}

// A client of which every answer is kept. without: names of headers that it shall not send.
function recorded(key = anonKey, { without = [], ...options } = {}) {
  const seen = [];
  const fetch = async (input, init = {}) => {
    const headers = new Headers(init.headers);
    for (const name of without) headers.delete(name);
    const answer = await globalThis.fetch(input, { ...init, headers });
    const body = await answer.clone().text();
    seen.push({ method: init.method, url: String(input), status: answer.status, headers: Object.fromEntries(answer.headers), body });
    return answer;
  };
  return [createClient(key, { ...options, global: { ...options.global, fetch } }), seen];
}

// Where a client with PKCE keeps its verifier.
function memory() {
  const kept = {};
  return {
    getItem: (name) => kept[name] ?? null,
    setItem: (name, value) => { kept[name] = value; },
    removeItem: (name) => { delete kept[name]; },
  };
}

// Snippets of one test leave here what the next one goes on with.
const kept = {};

function plain(value) {
  if (value instanceof Error) return { ...value, name: value.name, message: value.message };
  return value === undefined ? null : value;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { code, args } = JSON.parse(line);
  let answer;
  try {
    const run = new AsyncFunction("createClient", "recorded", "memory", "kept", "url", "anonKey", "serviceKey", "client", "args", code);
    answer = { result: await run(createClient, recorded, memory, kept, url, anonKey, serviceKey, createClient(), args) };
  } catch (error) {
    answer = { thrown: plain(error) };
  }
  process.stdout.write(JSON.stringify(answer, (_, value) => plain(value)) + "\n");
}
