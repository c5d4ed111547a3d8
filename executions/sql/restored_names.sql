-- A run that is restored from the archive keeps the names that it had; most new rows have none, which is looked at first,
-- as it costs the least. Only the role that owns the functions, and its
-- members, may insert names of their own.
CREATE FUNCTION restores_runs() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(ledger_note() ? 'restore', false) AND pg_has_role(ledger_invoker(), current_user, 'MEMBER');
END
$$;

CREATE OR REPLACE FUNCTION workflow_execution_named() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.workflow_name <> '' AND restores_runs() THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.workflow_id = OLD.workflow_id THEN
        NEW.workflow_name := OLD.workflow_name;
    ELSE
        NEW.workflow_name := coalesce((SELECT name FROM workflows WHERE id = NEW.workflow_id), '');
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION node_execution_named() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.node_name <> '' AND restores_runs() THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.node_id = OLD.node_id THEN
        NEW.node_name := OLD.node_name;
    ELSE
        NEW.node_name := coalesce(name_of_node(NEW.workflow_execution_id, NEW.node_id), '');
    END IF;
    RETURN NEW;
END
$$;

-- CREATE OR REPLACE resets these settings.
DO $do$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['workflow_execution_named()', 'node_execution_named()', 'restores_runs()'] LOOP
        EXECUTE format(
            'ALTER FUNCTION %s SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', guarded, current_schema()
        );
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', guarded);
    END LOOP;
END
$do$;
