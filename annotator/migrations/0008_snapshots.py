from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('annotator', '0007_answered_requests'),
    ]

    operations = [
        migrations.AddField(
            model_name='snapshot',
            name='container',
            field=models.CharField(default='jsonl', help_text='What the rows are written into.', max_length=12),
        ),
        migrations.AlterField(
            model_name='snapshot',
            name='state',
            field=models.CharField(choices=[('queued', 'queued'), ('building', 'building'), ('ready', 'ready'), ('failed', 'failed'), ('cancelled', 'cancelled')], default='queued', max_length=10),
        ),
    ]
