create function public.rename_post(post uuid, title text) returns public.posts
    language sql volatile
    begin atomic
        update public.posts set title = rename_post.title where id = rename_post.post returning *;
    end;
