// Runs snippets for the tests: one JSON request a line on stdin, one JSON answer a line on stdout.
// A snippet sees `createClient`, `url`, `anonKey`, `serviceKey`, `client` (a fresh anon client) and `args`.
import { createInterface } from "node:readline";
import * as supabase from "@supabase/supabase-js";

const { MBAAS_URL: url, MBAAS_ANON_KEY: anonKey, MBAAS_SERVICE_KEY: serviceKey } = process.env;
const AsyncFunction = (async () => {}).constructor;

// Nothing outlives a snippet: no stored session, no timers.
function createClient(key = anonKey, options = {}) {
  const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false, ...(options.auth ?? {}) };
  return supabase.createClient(url, key, { ...options, auth });
}

function plain(value) {
  if (value instanceof Error) return { ...value, name: value.name, message: value.message };
  return value === undefined ? null : value;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { code, args } = JSON.parse(line);
  let answer;
  try {
    const run = new AsyncFunction("createClient", "url", "anonKey", "serviceKey", "client", "args", code);
    answer = { result: await run(createClient, url, anonKey, serviceKey, createClient(), args) };
  } catch (error) {
    answer = { thrown: plain(error) };
  }
  process.stdout.write(JSON.stringify(answer, (_, value) => plain(value)) + "\n");
}
