-- billing.next_notice: when a customer hears next, after this moment, that a period of his ends: 7, 3 and 1 days before; of a trial 3
-- and 1. Not of days that the period does not have; null: no more. Callers: billing's routines
create or replace function billing.next_notice(state text, starts_at timestamptz, ends_at timestamptz, after timestamptz)
  returns timestamptz
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return (
    select min(next_notice.ends_at - make_interval(days => x.days))
      from unnest(case next_notice.state when 'trialing' then '{3,1}'::integer[] when 'active' then '{7,3,1}' end) x(days)
     where next_notice.ends_at - make_interval(days => x.days) > greatest(next_notice.starts_at, next_notice.after));
end
$$;
