-- billing.note_owing: at this moment the subscription owed something, or owed nothing. The grace begins with the first moment since
-- nothing was owed: it is reckoned from what was told, and ends the same in whatever order and how often that is told.
--   But for a second that tells of both: who looked at the provider while it owed remembers when (billing.owes_since).
-- Locks: the caller holds the workspace's row; then the subscription. Callers: billing.apply_subscription, billing.write_state
create or replace function billing.note_owing(id uuid, status text, told_of timestamptz)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  select s.healthy_at, s.owing into strict v_row from billing.subscription s where s.id = note_owing.id;
  if note_owing.status not in ('past_due', 'unpaid') then
    v_row.healthy_at := greatest(v_row.healthy_at, note_owing.told_of);
  elsif not note_owing.told_of = any (v_row.owing) then
    v_row.owing := v_row.owing || note_owing.told_of;
  end if;
  v_row.owing := array(
    select x.at from unnest(v_row.owing) x(at) where (x.at > v_row.healthy_at) is not false order by x.at);
  update billing.subscription s
     set healthy_at = v_row.healthy_at, owing = v_row.owing,
         past_due_since = case when s.state in ('past_due', 'unpaid')
           then billing.owes_since(v_row.owing, v_row.healthy_at, s.past_due_since, null) end
   where s.id = note_owing.id and (s.healthy_at, s.owing) is distinct from (v_row.healthy_at, v_row.owing);
end
$$;
