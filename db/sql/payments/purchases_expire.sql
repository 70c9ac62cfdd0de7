-- payments.purchases_expire: ends up to `batch` purchases that were to be paid by hand and whose time has passed. A provider's end when
-- their session does (payments.claim_checks).
-- Guarantees: SKIP LOCKED: right at 0, 1 or many at once; run again at once it changes nothing; what was paid meanwhile is left. A
--   batch that fails is repeated row by row, and the bad one is parked alone with its error. An error of the moment is raised again.
-- Locks: purchases and workspaces (never waiting), then the accounts of their codes and campaigns in the order of their ids.
-- Callers: worker (sweep purchases_expire)
create or replace function payments.purchases_expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_due record;
  v_workspaces uuid[];
  v_ids uuid[];
  v_id uuid;
  v_state text;
  v_error text;
begin
  purchases_expire.processed := 0;
  purchases_expire.failed := 0;
  with due as materialized (
    select p.id, p.workspace_id
      from payments.purchase p
     where p.state = 'pending' and p.provider = 'manual' and p.expires_at <= (select ops.now())
       and (p.parked_until is null or p.parked_until <= (select ops.now()))
     order by p.expires_at, p.id
     limit purchases_expire.batch
       for no key update skip locked
  )
  select count(*)::integer as count, array_agg(d.id) as ids, array_agg(d.workspace_id) as workspaces into v_due from due d;
  if v_due.count = 0 then
    purchases_expire.more := false;
    return;
  end if;
  v_workspaces := people.claim_workspaces(v_due.workspaces);
  v_ids := array(
    select d.id from unnest(v_due.ids, v_due.workspaces) d(id, workspace_id)
     where d.workspace_id = any (v_workspaces)
     order by d.id);
  -- Where all are somebody else's at the moment, to ask again at once would be to ask for nothing.
  purchases_expire.more := v_due.count = purchases_expire.batch and cardinality(v_ids) > 0;

  begin
    perform payments.lock_redemptions(v_ids);
    foreach v_id in array v_ids loop
      perform payments.end_purchase(v_id, 'expired', 'sweep:purchases_expire');
    end loop;
    purchases_expire.processed := cardinality(v_ids);
    return;
  exception when others then
    if ops.is_passing(sqlstate) then
      raise;
    end if;
  end;

  foreach v_id in array v_ids loop
    begin
      perform payments.end_purchase(v_id, 'expired', 'sweep:purchases_expire');
      purchases_expire.processed := purchases_expire.processed + 1;
    exception when others then
      if ops.is_passing(sqlstate) then
        raise;
      end if;
      get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
      update payments.purchase p set parked_until = ops.park('purchases_expire', v_id::text, v_state, v_error)
       where p.id = v_id;
      purchases_expire.failed := purchases_expire.failed + 1;
    end;
  end loop;
end
$$;
