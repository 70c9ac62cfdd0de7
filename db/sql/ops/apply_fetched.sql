-- ops.apply_fetched: the object of an event was fetched: its effect is applied. Its fact says so (`fetched`): it tells how the
-- object stands now, and not how it stood when the event was told. A null fact without fault: the object concerns nothing of ours
-- (or is gone). Guarantees: an event that another Worker has done meanwhile is left as it is.
-- Refuses: not_found. Locks: the event's row, then what the effect locks. Callers: worker
create or replace function ops.apply_fetched(
  provider text,
  id text,
  fact jsonb,
  fault text,
  out state text,
  out outcome text
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  select e.state into apply_fetched.state
    from ops.event e
   where e.provider = apply_fetched.provider and e.id = apply_fetched.id
     for no key update;
  if not found then
    perform ops.refuse('not_found');
  end if;
  if apply_fetched.state = 'fetching' then
    update ops.event e
       set fact = apply_fetched.fact || '{"fetched": true}', error = apply_fetched.fault,
           state = case when apply_fetched.fact is null and apply_fetched.fault is null then 'ignored' else e.state end,
           next_attempt_at = case when apply_fetched.fact is null and apply_fetched.fault is null then null else e.next_attempt_at end
     where e.provider = apply_fetched.provider and e.id = apply_fetched.id;
    if apply_fetched.fact is not null or apply_fetched.fault is not null then
      perform ops.attempt_event(apply_fetched.provider, apply_fetched.id);
    else
      perform ops.close_alarm('event_dead', apply_fetched.provider || ':' || apply_fetched.id);
    end if;
  end if;
  select e.state, e.outcome into strict apply_fetched.state, apply_fetched.outcome
    from ops.event e
   where e.provider = apply_fetched.provider and e.id = apply_fetched.id;
end
$$;
