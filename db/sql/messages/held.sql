-- messages.held: which of these messages the claims hold, number i under `tokens[i]`, and what they ask. Reads, and locks nothing: what is
-- settled by it is guarded there. Callers: access.provisioned
create or replace function messages.held(inout ids uuid[], tokens uuid[], out kinds text[], out bodies jsonb[])
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select coalesce(array_agg(o.id order by o.id), '{}'), coalesce(array_agg(o.kind order by o.id), '{}'),
         coalesce(array_agg(o.body order by o.id), '{}')
    into held.ids, held.kinds, held.bodies
    from messages.outbox o
   where o.id = any (held.ids) and o.state = 'sending'
     and o.lease_token = (held.tokens)[array_position(held.ids, o.id)];
end
$$;
