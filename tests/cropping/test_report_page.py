"""The report of cropping, opened in a real browser."""


def test_the_report_in_a_browser(tmp_path, pictures, crop, browser):
    """Every source is drawn with its rectangle, worst first; filters and search leave the right
    ones; nothing is asked for and nothing is wider than the window."""
    run = crop(pictures, pad="never", tiles=True)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((run.folder / "report.html").as_uri())

    def shown() -> list[str]:
        return page.locator("article:visible svg").evaluate_all(
            "all => all.map(one => one.getAttribute('aria-label'))"
        )

    everything = {"1 a cat.png", "2 a dog.png", "nested/3 a bird.png"}
    assert set(shown()) == everything
    assert page.locator("article rect.window").count() >= 3
    loaded = "all => all.every(one => one.getBoundingClientRect().width > 40)"
    assert page.locator("article image").evaluate_all(loaded)
    lost = page.locator(".lost").all_text_contents()
    assert lost == sorted(lost, key=lambda text: -float(text.split("%")[0]))

    page.fill("input", "BIRD")
    assert shown() == ["nested/3 a bird.png"]
    page.fill("input", "")
    tiled = page.locator("article[data-is~=tiles]").count()
    page.click("button[data-show=tiles]")
    assert len(shown()) == tiled > 0
    assert page.get_attribute("button[data-show=tiles]", "aria-pressed") == "true"
    page.click("button[data-show=all]")
    assert set(shown()) == everything

    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()
