-- billing.compare_subscriptions: a page of the provider's subscriptions is held against what is known of them (facts, as events
-- carry them). What differs is marked, and a sweep fetches it; what agrees was seen at `asked_at`, our time before the pass.
-- `missing`: those that live there, and nobody knows here. Two OUT columns of different kinds, so that it is one composite.
-- Guarantees: writes no state itself: a list may be older than what an event has told meanwhile.
-- Locks: the subscriptions' rows, SKIP LOCKED (who holds one knows newer). Callers: worker
create or replace function billing.compare_subscriptions(
  facts jsonb,
  asked_at timestamptz,
  out marked integer,
  out missing text[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  compare_subscriptions.marked := 0;
  for v_row in
    with held as materialized (
      select s.id, s.provider_id from billing.subscription s
       where s.ended_at is null
         and s.provider_id in (
           select f.fact ->> 'subscription' from jsonb_array_elements(compare_subscriptions.facts) f(fact))
       order by s.id
         for no key update skip locked
    )
    select h.id, f.fact
      from jsonb_array_elements(compare_subscriptions.facts) f(fact)
      join held h on h.provider_id = f.fact ->> 'subscription'
     order by h.id
  loop
    if billing.differs(v_row.id, v_row.fact) then
      perform billing.mark_sync(v_row.id);
      compare_subscriptions.marked := compare_subscriptions.marked + 1;
    else
      update billing.subscription s set synced_at = greatest(s.synced_at, compare_subscriptions.asked_at)
       where s.id = v_row.id;
    end if;
  end loop;
  select coalesce(array_agg(f.fact ->> 'subscription' order by f.place), '{}')
    into compare_subscriptions.missing
    from jsonb_array_elements(compare_subscriptions.facts) with ordinality f(fact, place)
   where f.fact ->> 'status' not in ('canceled', 'incomplete_expired')
     and not exists (select from billing.subscription s where s.provider_id = f.fact ->> 'subscription');
end
$$;
