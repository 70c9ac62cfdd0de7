-- payments.set_referrer: who brought a workspace, once for ever, and before it has paid anything: from its first payment on, the
-- referrer gets the policy's part (payments.reward_referrer). The same again answers the same.
-- Guarantees: nobody is above itself, whoever is set at once: referrers are set one after another, in all of the database; an
--   audit row in the same statement. A chain is walked 10,000 steps up at most, which also ends a walk should the rows be spoiled.
-- Locks: the referrals (advisory), then the workspace. Refuses: not_found; referrer_fixed (with referrer_id); referral_self;
--   referrer_unknown; referral_cycle; referral_too_deep (with limit); referral_late. Callers: worker
create or replace function payments.set_referrer(
  inout workspace_id uuid,
  inout referrer_id uuid,
  caused_by text,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_known record;
  v_up record;
begin
  -- In a statement of its own: what is read below is read after it was waited for.
  perform pg_advisory_xact_lock(hashtextextended('payments.referral', 0));
  if not people.lock_workspace(set_referrer.workspace_id) then
    perform ops.refuse('not_found');
  end if;
  select r.referrer_id, r.created_at into v_known
    from payments.referral r
   where r.workspace_id = set_referrer.workspace_id;
  if v_known.referrer_id = set_referrer.referrer_id then
    set_referrer.created_at := v_known.created_at;
    return;
  elsif found then
    perform ops.refuse('referrer_fixed', jsonb_build_object('referrer_id', v_known.referrer_id));
  elsif set_referrer.referrer_id = set_referrer.workspace_id then
    perform ops.refuse('referral_self');
  elsif not people.has_workspace(set_referrer.referrer_id) then
    perform ops.refuse('referrer_unknown');
  end if;
  with recursive up as (
    select set_referrer.referrer_id as id, 0 as steps
    union all
    select r.referrer_id, u.steps + 1
      from up u
      join payments.referral r on r.workspace_id = u.id
     where u.steps < 10000 and u.id <> set_referrer.workspace_id
  )
  select bool_or(u.id = set_referrer.workspace_id) as cycle, max(u.steps) as steps into strict v_up from up u;
  if v_up.cycle then
    perform ops.refuse('referral_cycle');
  elsif v_up.steps = 10000 then
    perform ops.refuse('referral_too_deep', jsonb_build_object('limit', 10000));
  elsif exists (
    select from payments.payment p
     where p.workspace_id = set_referrer.workspace_id and p.provider <> 'balance' and p.amount_minor > 0
  ) then
    perform ops.refuse('referral_late');
  end if;
  set_referrer.created_at := ops.now();
  insert into payments.referral (workspace_id, referrer_id, created_at)
  values (set_referrer.workspace_id, set_referrer.referrer_id, set_referrer.created_at);
  perform ops.record_change(
    workspace_id => set_referrer.workspace_id, actor => set_referrer.caused_by, action => 'referrer.set',
    subject => 'workspace:' || set_referrer.workspace_id,
    detail => jsonb_build_object('referrer_id', set_referrer.referrer_id));
end
$$;
