-- messages.wants: does somebody with these opt-outs hear of a kind? `*` is everything, `broadcast.*` every broadcast. Who has left
-- (`left_at`) hears of no broadcast, whatever they say. Callers: messages' routines
create or replace function messages.wants(opt_outs text[], left_at timestamptz, kind text)
  returns boolean
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return case when wants.kind like 'broadcast.%'
    then wants.left_at is null and not (wants.opt_outs && array['*', 'broadcast.*', wants.kind])
    else not (wants.opt_outs && array['*', wants.kind]) end;
end
$$;
