"""Wagtail's welcome page and groups go; the site, its first pages and the editors' rights come."""

from django.db import migrations

from pkakey.fronts.portal import first_pages

ROOT_PATH = "0001"
HOME_PATH = "00010001"


def create_pages(apps, schema_editor):
    """Replace the welcome page by home, help and repository pages."""
    page = apps.get_model("wagtailcore", "Page")
    site = apps.get_model("wagtailcore", "Site")
    site.objects.all().delete()
    page.objects.filter(path__startswith=HOME_PATH).delete()
    locale = apps.get_model("wagtailcore", "Locale").objects.first()
    content_type = apps.get_model("contenttypes", "ContentType")

    def create(model, path, slug, title, url_path, numchild, **fields):
        return apps.get_model("portal", model).objects.create(
            title=title,
            draft_title=title,
            slug=slug,
            path=path,
            depth=len(path) // 4,
            numchild=numchild,
            url_path=url_path,
            live=True,
            show_in_menus=True,
            locale=locale,
            content_type=content_type.objects.get_or_create(
                app_label="portal", model=model.lower()
            )[0],
            **fields,
        )

    home = create(
        "HomePage", HOME_PATH, "home", "theDDT", "/home/", 2,
        lead=first_pages.LEAD, body=first_pages.HOME,
    )
    create(
        "HelpPage", f"{HOME_PATH}0001", "help", "Help", "/home/help/", 0, body=first_pages.HELP
    )
    create(
        "RepositoryPage", f"{HOME_PATH}0002", "repository", "CA repository", "/home/repository/", 0,
        body=first_pages.REPOSITORY, policy=first_pages.POLICY,
    )
    page.objects.filter(path=ROOT_PATH).update(numchild=1)
    site.objects.create(
        hostname="localhost", port=443, root_page_id=home.pk, is_default_site=True,
        site_name="theDDT",
    )


def give_rights(apps, schema_editor):
    """Let content editors in, to change the pages; Wagtail's own groups go."""
    groups = apps.get_model("auth", "Group").objects
    groups.filter(name__in=["Editors", "Moderators"]).delete()
    permission = apps.get_model("auth", "Permission").objects
    editors, _ = groups.get_or_create(name="content-editor")
    editors.permissions.add(
        permission.get(content_type__app_label="wagtailadmin", codename="access_admin")
    )
    home = apps.get_model("wagtailcore", "Page").objects.get(path=HOME_PATH)
    page_types = {"content_type__app_label": "wagtailcore", "content_type__model": "page"}
    for codename in ("add_page", "change_page", "publish_page"):
        apps.get_model("wagtailcore", "GroupPagePermission").objects.create(
            group=editors, page=home, permission=permission.get(codename=codename, **page_types)
        )


class Migration(migrations.Migration):
    """Runs after everything of Wagtail that makes groups or pages."""

    dependencies = [
        ("portal", "0001_initial"),
        ("accounts", "0002_roles"),
        ("wagtailadmin", "0006_formstate"),
        ("wagtailcore", "0098_apitoken"),
        ("wagtaildocs", "0014_alter_document_file_size"),
        ("wagtailimages", "0027_image_description"),
    ]
    operations = [
        migrations.RunPython(create_pages, migrations.RunPython.noop),
        migrations.RunPython(give_rights, migrations.RunPython.noop),
    ]
