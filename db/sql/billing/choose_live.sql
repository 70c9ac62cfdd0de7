-- billing.choose_live: which of a workspace's subscriptions is kept: the one that is, until it is over, or was never paid and
-- another one is (of one that has given what an invoice paid for, the state is only not known yet). One that is kept now, and was
-- superseded, gives what its invoices had been waiting to give. A trial of ours never stands in the way of what is paid for (D8): it ends.
-- Locks: the caller holds the workspace's row; then the subscriptions.
-- Callers: billing.write_state, billing.note_checkout, billing.end_due
create or replace function billing.choose_live(workspace_id uuid, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_kept record;
  v_other record;
begin
  select s.id, s.state = 'incomplete' and s.renewed_from is null as unpaid,
         s.collection = 'balance' and s.state = 'trialing' as trial
    into v_kept
    from billing.subscription s
   where s.workspace_id = choose_live.workspace_id and s.ended_at is null and s.superseded_by is null;
  select s.id, s.state into v_other
    from billing.subscription s
   where s.workspace_id = choose_live.workspace_id and s.ended_at is null and s.superseded_by is not null
     and s.undone_at is null
   order by s.state = 'incomplete', s.id
   limit 1;
  if v_kept.trial and v_other.state = 'active' then
    -- Which comes here again, when it is over.
    perform billing.end_due(array[v_kept.id], choose_live.caused_by, reason => 'trial_ended');
    return;
  end if;
  if v_other.id is null or v_kept.id is not null and not (v_kept.unpaid and v_other.state <> 'incomplete') then
    return;
  end if;
  update billing.subscription s set superseded_by = v_other.id
   where s.workspace_id = choose_live.workspace_id and s.ended_at is null and s.id <> v_other.id;
  -- The limits that it gave, if it ever was the one, have been another's since.
  update billing.subscription s set superseded_by = null, seats_given = null, bytes_given = null where s.id = v_other.id;
  perform billing.give_waiting(v_other.id, choose_live.caused_by);
end
$$;
