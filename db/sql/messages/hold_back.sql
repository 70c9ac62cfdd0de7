-- messages.hold_back: what is due to endpoints that fail is put off until they are tried again, all but the one message that tries. So they
-- do not stand before what is for others; nor does what was for an endpoint that was disabled or deleted, which is canceled. At most 1,000 a call. Locks: the messages, SKIP LOCKED. Callers: messages.claim
create or replace function messages.hold_back(channel text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
begin
  if hold_back.channel <> 'webhook' then
    return;
  end if;
  with off as materialized (
    select o.id
      from messages.endpoint e
     cross join lateral (
       select d.id from messages.outbox d
        where d.endpoint_id = e.id and d.due_at <= v_now and d.state = 'queued'
        order by d.due_at
        limit 1000
          for no key update skip locked
     ) o
     where e.disabled_at is not null or e.deleted_at is not null
     limit 1000
  )
  update messages.outbox o set state = 'canceled', due_at = null, settled_at = v_now from off where o.id = off.id;
  with waiting as materialized (
    select o.id, e.until
      from (select e.id, greatest(e.open_until, v_now + interval '1 minute') as until,
                   case when e.open_until is null or e.open_until <= v_now then (
                     select d.id from messages.outbox d
                      where d.endpoint_id = e.id and d.due_at <= v_now
                      order by d.due_at
                      limit 1) end as trial
              from messages.endpoint e
             where (e.failures >= 5 or e.open_until > v_now) and e.disabled_at is null and e.deleted_at is null) e
     cross join lateral (
       select d.id from messages.outbox d
        where d.endpoint_id = e.id and d.due_at <= v_now and d.state = 'queued'
          and d.id is distinct from e.trial
        order by d.due_at
        limit 1000
          for no key update skip locked
     ) o
     limit 1000
  )
  update messages.outbox o set due_at = w.until from waiting w where o.id = w.id;
end
$$;
