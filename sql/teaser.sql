-- A computed field: GET /rest/v1/posts?select=title,teaser
create or replace function public.teaser(public.posts) returns text language sql immutable
    return left($1.body, 80);
