-- billing.standings_of: of each of these workspaces, in their order: the state of its subscription that lives, and the plan's code; null
-- where none does, or one that was never paid. For who chooses among workspaces. Locks: nothing. Callers: messages.recipients
create or replace function billing.standings_of(workspace_ids uuid[], out states text[], out plans text[])
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select array_agg(s.state order by w.position), array_agg(p.code order by w.position)
    into standings_of.states, standings_of.plans
    from unnest(standings_of.workspace_ids) with ordinality w(id, position)
    left join billing.subscription s
      on s.workspace_id = w.id and s.ended_at is null and s.superseded_by is null and s.state <> 'incomplete'
    left join billing.plan p on p.id = s.plan_id;
end
$$;
