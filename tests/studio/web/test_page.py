"""The page as a whole, in chromium."""

TABS = ("Crop", "Invert", "Guidance", "Denoise", "Runs")


def test_every_tab_is_reached_with_a_click(page, studio):
    page.goto(studio.url)
    for title in TABS:
        page.get_by_role("tab", name=title, exact=True).click()
        assert page.get_by_role("tabpanel").filter(visible=True).count() == 1
