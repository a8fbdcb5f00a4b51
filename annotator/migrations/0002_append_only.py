"""Annotations are append-only: the database itself refuses to change or delete one."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION annotator_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'annotations are append-only: % of annotation % refused', TG_OP, OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER annotation_append_only BEFORE UPDATE OR DELETE ON annotator_annotation
    FOR EACH ROW EXECUTE FUNCTION annotator_refuse_change();
"""
ALLOW = """
DROP TRIGGER annotation_append_only ON annotator_annotation;
DROP FUNCTION annotator_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("annotator", "0001_initial")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
