-- ops.claim_fetches: events whose object must be fetched from the provider, each for one Worker until `lease` has passed.
-- Guarantees: a Worker that dies gives its events back by time; after 14 tries an event is dead, under an alarm.
-- Locks: the events' rows, SKIP LOCKED. Callers: worker
create or replace function ops.claim_fetches(
  provider text,
  batch integer,
  lease interval,
  out ids text[],
  out types text[],
  out subjects text[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_event record;
begin
  claim_fetches.ids := '{}';
  claim_fetches.types := '{}';
  claim_fetches.subjects := '{}';
  for v_event in
    select e.id, e.type, e.subject, e.attempts from ops.event e
     where e.provider = claim_fetches.provider and e.next_attempt_at <= (select ops.now()) and e.state = 'fetching'
     order by e.next_attempt_at, e.id
     limit claim_fetches.batch
       for no key update skip locked
  loop
    if v_event.attempts >= 14 then
      update ops.event e set state = 'dead', next_attempt_at = null, error = 'its object could not be fetched'
       where e.provider = claim_fetches.provider and e.id = v_event.id;
      perform ops.raise_alarm('event_dead', claim_fetches.provider || ':' || v_event.id,
        jsonb_build_object('type', v_event.type, 'error', 'its object could not be fetched'));
    else
      update ops.event e
         set attempts = e.attempts + 1,
             next_attempt_at = ops.now() + greatest(claim_fetches.lease,
               least(interval '12 hours', interval '1 minute' * power(2, e.attempts)))
       where e.provider = claim_fetches.provider and e.id = v_event.id;
      claim_fetches.ids := claim_fetches.ids || v_event.id;
      claim_fetches.types := claim_fetches.types || v_event.type;
      claim_fetches.subjects := claim_fetches.subjects || v_event.subject;
    end if;
  end loop;
end
$$;
