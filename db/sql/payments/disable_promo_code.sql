-- payments.disable_promo_code: nobody may use a promo code from now on. What is held is kept: it was quoted. Doing it again changes
-- nothing. Guarantees: whoever holds a redemption of it at this moment is done before; an audit row in the same statement, once.
-- Refuses: not_found. Locks: the code. Callers: worker
create or replace function payments.disable_promo_code(
  inout code text,
  caused_by text,
  out id uuid,
  out disabled_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  disable_promo_code.code := upper(btrim(disable_promo_code.code));
  update payments.promo_code c set disabled_at = ops.now()
   where c.code = disable_promo_code.code and c.disabled_at is null
  returning c.id, c.disabled_at into disable_promo_code.id, disable_promo_code.disabled_at;
  if found then
    perform ops.record_change(
      workspace_id => null, actor => disable_promo_code.caused_by, action => 'promo_code.disable',
      subject => 'promo_code:' || disable_promo_code.id, detail => jsonb_build_object('code', disable_promo_code.code));
    return;
  end if;
  select c.id, c.disabled_at into disable_promo_code.id, disable_promo_code.disabled_at
    from payments.promo_code c
   where c.code = disable_promo_code.code;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
