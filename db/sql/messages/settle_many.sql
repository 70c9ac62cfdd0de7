-- messages.settle_many: claimed messages were delivered: number i under the claim `tokens[i]`. What they went through works again: its circuit
-- closes. Guarantees: only a claim's holder settles it; others, and a second time, change nothing. `settled`: those that were his;
-- `lost`: how many were not.
-- Locks: the messages, in the order of their ids; then endpoints and channels that had failed, in order. Callers: worker, access.provisioned
create or replace function messages.settle_many(ids uuid[], tokens uuid[], out settled uuid[], out lost integer)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  with mine as materialized (
    select o.id from messages.outbox o
     where o.id = any (settle_many.ids) and o.state = 'sending'
       and o.lease_token = (settle_many.tokens)[array_position(settle_many.ids, o.id)]
     order by o.id
       for no key update
  ), done as (
    update messages.outbox o
       set state = 'delivered', due_at = null, lease_token = null, leased_until = null, error = null, settled_at = ops.now()
      from mine where o.id = mine.id
    returning o.id, o.channel, o.endpoint_id
  )
  select coalesce(array_agg(d.id order by d.id), '{}') as ids, array_agg(distinct d.channel) filter (where d.endpoint_id is null) as channels,
         array_agg(distinct d.endpoint_id) filter (where d.endpoint_id is not null) as endpoints
    into v_row from done d;
  settle_many.settled := v_row.ids;
  settle_many.lost := cardinality(settle_many.ids) - cardinality(v_row.ids);
  perform messages.recovered(v_row.channels, v_row.endpoints);
end
$$;
