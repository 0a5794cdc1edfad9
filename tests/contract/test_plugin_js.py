"""A plugin at work inside the transaction, seen through supabase-js; without its folder it is gone."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.contract.conftest import running, supabase_js
from tests.throwaway import throw_away_directory

ROOT = Path(__file__).parents[2]
SIGN_UP = (
    "await client.auth.signUp({email: args.email, password: 'correct horse battery'});"
    "await client.from('profiles').insert({username: 'ada'});"
)
INSERT = "const made = await client.from('posts').insert({title: args.title}).select('slug').single(); return made;"


async def test_slugs_fills_and_refuses_and_is_gone_with_its_folder() -> None:
    with throw_away_directory("mbaas-plugin-") as name:
        root = Path(name)
        for part in ("mbaas.toml", "sql", "plugins"):
            source = ROOT / part
            shutil.copytree(source, root / part) if source.is_dir() else shutil.copy(source, root / part)
        with running(root) as server, supabase_js(server) as js:
            first = await js(SIGN_UP + INSERT, email="ada@example.com", title="Hello, World!")
            assert first["data"] == {"slug": "hello-world"}
            sign_in = "await client.auth.signInWithPassword({email: args.email, password: 'correct horse battery'});"
            again = await js(sign_in + INSERT, email="ada@example.com", title="Hello, World!")
            assert again["data"] == {"slug": "hello-world-2"}
            refused = await js(sign_in + INSERT, email="ada@example.com", title="???")
            assert (refused["data"], refused["status"], refused["error"]["code"]) == (None, 400, "hook_refused")
            assert refused["error"]["message"] == "the title has no letters or digits to make an address from"
            count = await js(
                sign_in + "return await client.from('posts').select('*', {count: 'exact', head: true})",
                email="ada@example.com",
            )
            assert count["count"] == 2
        shutil.rmtree(root / "plugins" / "slugs")
        with running(root) as server, supabase_js(server) as js:
            bare = await js(sign_in + INSERT, email="ada@example.com", title="Hello, World!")
            assert bare["data"] == {"slug": None}
