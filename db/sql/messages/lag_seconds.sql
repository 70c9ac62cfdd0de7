-- messages.lag_seconds: for how long the oldest message has been due that has not left, of the channel that the Worker
-- delivers, `stripe`. The channels `provisioner` and `notice` are rows that the operator's own programs read, for as long as
-- no pump of ours delivers them: nobody is late with those. Callers: ops.readiness
create or replace function messages.lag_seconds()
  returns integer
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_since timestamptz;
begin
  select min(o.due_at) into v_since from messages.outbox o where o.channel = 'stripe' and o.due_at is not null;
  return greatest(0, coalesce(extract(epoch from ops.now() - v_since), 0));
end
$$;
