-- ops.raise_alarm: a person must look. One open row per code and subject; raised again, it counts.
-- Callers: every routine and sweep
create or replace function ops.raise_alarm(code text, subject text, detail jsonb)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
-- A conflict target cannot be qualified, and a partial index is no constraint to name.
begin
  insert into ops.alarm (id, code, subject, detail, opened_at, last_seen_at)
  values (uuidv7(), raise_alarm.code, raise_alarm.subject, raise_alarm.detail, ops.now(), ops.now())
  on conflict (code, subject) where closed_at is null
  do update set times = alarm.times + 1, last_seen_at = excluded.last_seen_at, detail = excluded.detail;
end
$$;
