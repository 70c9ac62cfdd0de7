-- billing.standing_of: the state of the workspace's subscription that lives (null: none does), and whether it ever had one: a
-- trial is given once. Locks: the caller holds the workspace's row.
-- Callers: payments.start_checkout, payments.quote, billing.start_trial
create or replace function billing.standing_of(
  workspace_id uuid,
  out state text,
  out had_one boolean
)
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select s.state into standing_of.state
    from billing.subscription s
   where s.workspace_id = standing_of.workspace_id and s.ended_at is null and s.superseded_by is null;
  standing_of.had_one := exists (
    select from billing.subscription s
     where s.workspace_id = standing_of.workspace_id and s.lived);
end
$$;
