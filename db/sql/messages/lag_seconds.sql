-- messages.lag_seconds: for how long the oldest message has been due that has not left, of the channels that this deployment delivers:
-- those that were asked for messages within a day. What nobody here delivers cannot be late. Callers: ops.readiness
create or replace function messages.lag_seconds()
  returns integer
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_since timestamptz;
begin
  select min(o.due_at) into v_since
    from messages.channel c
   cross join lateral (
     select o.due_at from messages.outbox o where o.channel = c.name and o.due_at is not null order by o.due_at limit 1
   ) o
   where c.claimed_at > v_now - interval '1 day';
  return greatest(0, coalesce(extract(epoch from v_now - v_since), 0));
end
$$;
