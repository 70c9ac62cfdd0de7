-- messages.wants: does somebody with these opt-outs hear of a kind? `*` is everything, `broadcast.*` every broadcast.
-- Callers: messages' routines
create or replace function messages.wants(opt_outs text[], kind text)
  returns boolean
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return not (wants.opt_outs && case when wants.kind like 'broadcast.%' then array['*', 'broadcast.*', wants.kind]
    else array['*', wants.kind] end);
end
$$;
