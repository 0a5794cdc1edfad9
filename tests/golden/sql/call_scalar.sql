-- POST /rpc/add {'body': '{"a":1}'}
-- $1: {"a":1}
select (to_json("public"."add"("a" => "p"."a"))), 1, null
from json_to_record($1::json) as p("a" integer)
