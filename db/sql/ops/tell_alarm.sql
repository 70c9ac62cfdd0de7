-- ops.tell_alarm: trigger function: tells the operator's endpoints of an alarm that opened (version 1) or closed (version 2).
-- Callers: triggers
create or replace function ops.tell_alarm()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if messages.listens('alarm') then
    perform messages.tell(
      case tg_op when 'INSERT' then 'alarm.opened' else 'alarm.closed' end, null, new.id::text,
      case tg_op when 'INSERT' then 1 else 2 end,
      jsonb_build_object('code', new.code, 'subject', new.subject, 'detail', new.detail, 'times', new.times,
        'opened_at', ops.utc(new.opened_at), 'closed_at', ops.utc(new.closed_at)));
  end if;
  return null;
end
$$;
