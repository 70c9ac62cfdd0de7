-- billing.note_past_due: an event that came late tells of an earlier moment when nothing was owed, or when something was
-- already: the grace begins with the first since then, in whatever order they come.
-- Locks: the caller holds the workspace's row. Callers: billing.apply_subscription
create or replace function billing.note_past_due(id uuid, status text, occurred_at timestamptz)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_workspace uuid;
begin
  if note_past_due.status in ('past_due', 'unpaid') then
    update billing.subscription s set past_due_since = note_past_due.occurred_at
     where s.id = note_past_due.id and s.past_due_since > note_past_due.occurred_at
       and (s.healthy_at is null or s.healthy_at < note_past_due.occurred_at)
    returning s.workspace_id into v_workspace;
    if found then
      perform billing.follow(v_workspace);
    end if;
  else
    update billing.subscription s set healthy_at = note_past_due.occurred_at
     where s.id = note_past_due.id and (s.healthy_at is null or s.healthy_at < note_past_due.occurred_at);
  end if;
end
$$;
