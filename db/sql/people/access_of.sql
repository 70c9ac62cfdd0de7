-- people.access_of: may the workspace write now, and if not, why? `refusal`: null, workspace_frozen or workspace_read_only.
-- Callers: ops.admit, payments.admit_buyer, billing.start_trial
create or replace function people.access_of(
  workspace_id uuid,
  out refusal text,
  out reason text
)
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select case
           when w.frozen_at is not null then 'workspace_frozen'
           -- `is not null` first: the clock is read only where there is something to compare.
           when w.read_only_from is not null and w.read_only_from <= ops.now() then 'workspace_read_only'
         end,
         case when w.frozen_at is not null then w.frozen_reason else w.read_only_reason end
    into access_of.refusal, access_of.reason
    from people.workspace w
   where w.id = access_of.workspace_id;
end
$$;
