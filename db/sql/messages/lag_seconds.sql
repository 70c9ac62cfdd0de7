-- messages.lag_seconds: for how long the oldest message has been due that has not left. Callers: ops.readiness
create or replace function messages.lag_seconds()
  returns integer
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_since timestamptz;
begin
  select min(o.due_at) into v_since from messages.outbox o where o.due_at is not null;
  return greatest(0, coalesce(extract(epoch from ops.now() - v_since), 0));
end
$$;
