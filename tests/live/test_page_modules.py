"""
Runs the tests of the page's modules, C{tests/page/test_*.js}, in Chromium and in
Firefox.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import Request
from twisted.web.static import Data, File

from tests.support.bidi import FirefoxCase
from tests.support.browsers import Browsing
from tests.support.requirements import ROOT, needs
from twisted_sse.daemon.pages import pageHeaders

TESTS = ROOT / "tests" / "page"

#: Imports the modules it is given, and returns the failures of their tests, and how many tests there
#: are.
RUN = """
const [files, done] = arguments;
(async () => {
  const broken = [];
  for (const file of files) {
    try {
      await import(`/tests/page/${file}`);
    } catch (error) {
      broken.push(`${file} cannot be imported: ${error}`);
    }
  }
  const { runAll } = await import("/tests/page/testing.js");
  const { failures, count } = await runAll();
  return [[...broken, ...failures], count];
})().then(done, (error) => done([[String(error)], 0]));
"""

#: Zones east and west of Greenwich, with daylight saving and with a half-hour offset.
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")


class Files(File):
    """
    Files with the headers of the page.
    """

    contentTypes = {  # as in the base class
        ".js": "text/javascript",
        ".json": "application/json",
    }

    def render_GET(self, request: Request) -> Any:
        """
        Serve a file.
        """
        for name, value in pageHeaders():
            request.setHeader(name, value)
        return super().render_GET(request)


class Empty(Data):
    """
    An empty page with the policy of the real one.
    """

    def render_GET(self, request: Request) -> Any:
        """
        Serve the page.
        """
        for name, value in pageHeaders():
            request.setHeader(name, value)
        return super().render_GET(request)


def site() -> Resource:
    """
    Lay the modules and their tests out as they are in the checkout.
    """
    root, package, daemon, tests = Resource(), Resource(), Resource(), Resource()
    root.putChild(b"", Empty(b"<!doctype html><title>Tests</title>", "text/html; charset=utf-8"))
    root.putChild(b"twisted_sse", package)
    package.putChild(b"daemon", daemon)
    daemon.putChild(b"page", Files(str(ROOT / "twisted_sse" / "daemon" / "page")))
    root.putChild(b"tests", tests)
    tests.putChild(b"page", Files(str(TESTS)))
    tests.putChild(b"vectors", Files(str(ROOT / "tests" / "vectors")))
    return root


#: The files whose tests depend on the time zone.
ABOUT_TIMES = ("test_clock.js", "test_line.js", "test_time.js", "test_vectors.js")


@needs("network", "browser")
class ModuleTests(Browsing):
    """
    Tests for the modules of the page.
    """

    async def test_modules(self) -> None:
        """
        All tests of the modules pass, those about times in every time zone.
        """
        files = sorted(path.name for path in TESTS.glob("test_*.js"))
        self.assertNotEqual(files, [])
        server = self.serve(site())
        browser = await self.browse()
        await deferToThread(browser.set_script_timeout, 50)
        for zone in ZONES:
            zoned = {"timezoneId": zone}
            await deferToThread(browser.execute_cdp_cmd, "Emulation.setTimezoneOverride", zoned)
            await deferToThread(browser.get, server.url)
            failures, count = await deferToThread(browser.execute_async_script, RUN, files)
            self.assertEqual(failures, [], zone)
            self.assertGreaterEqual(count, len(files), zone)
            files = [name for name in files if name in ABOUT_TIMES]


@needs("network", "firefox")
class FirefoxModuleTests(FirefoxCase):
    """
    Tests for the modules in Firefox.
    """

    async def test_modules(self) -> None:
        """
        All tests of the modules pass.
        """
        files = sorted(path.name for path in TESTS.glob("test_*.js"))
        server = self.serve(site())
        await self.start()
        await self.open(server.url)
        run = f"return new Promise((done) => (function () {{ {RUN} }})(arguments[0], done))"
        failures, count = await self.run_(run, files)
        self.assertEqual(failures, [])
        self.assertGreaterEqual(count, len(files))
