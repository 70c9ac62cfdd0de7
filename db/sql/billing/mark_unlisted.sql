-- billing.mark_unlisted: the provider's list was read to its end: subscriptions that live here and were not on it are marked, and a
-- sweep asks for each by its id. `listed_at`: our time before the pass.
-- Guarantees: bounded; a second call marks none twice. Locks: the subscriptions' rows, SKIP LOCKED. Callers: worker
create or replace function billing.mark_unlisted(
  listed_at timestamptz,
  batch integer,
  out processed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  mark_unlisted.processed := 0;
  for v_row in
    select s.id from billing.subscription s
     where s.ended_at is null and s.provider_id is not null and s.sync_due_at is null
       and s.created_at < mark_unlisted.listed_at
       and (s.synced_at is null or s.synced_at < mark_unlisted.listed_at)
     order by s.id
     limit mark_unlisted.batch
       for no key update skip locked
  loop
    perform billing.mark_sync(v_row.id);
    mark_unlisted.processed := mark_unlisted.processed + 1;
  end loop;
  mark_unlisted.more := mark_unlisted.processed = mark_unlisted.batch;
end
$$;
