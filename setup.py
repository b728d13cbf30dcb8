"""
The metadata of the package, for installers.  The tools are configured in pyproject.toml.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

readme = Path(__file__).with_name("README.md")

# Lower bounds are the versions we need or test with; nothing has an upper bound, since that could
# only conflict with an application's own requirements.

klein = [
    "klein>=24.8",  # twisted_sse.klein: a route that yields events
]
metrics = [
    "prometheus-client>=0.20",  # twisted_sse.metrics: counters that Prometheus reads
]
tls = [
    "twisted[tls,http2]>=24.3",  # https:// and HTTP/2, for the daemon and the client
]
hub = [
    "PyJWT[crypto]>=2.10",  # twisted_sse.hub.Hub: tokens
    "google-re2>=1.1",  # URI templates in linear time
    "urlpattern>=0.3.1",  # URL patterns, also in linear time, and URLs as browsers read them
]
redis = [
    "hiredis>=3.1",  # twisted_sse.store.RedisStore: parses the replies of a Redis server
]
everything = [*hub, *klein, *metrics, *redis, *tls]

setup(
    name="twisted-sse",
    version="0.2.0",
    description="Server-Sent Events for Twisted: the format, the server, the client and a daemon",
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    author="the twisted-sse contributors",
    license_expression="MIT",
    license_files=["LICENSE"],
    keywords=["twisted", "klein", "sse", "server-sent events", "eventsource", "text/event-stream"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Twisted",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Internet :: WWW/HTTP :: HTTP Servers",
        "Topic :: Software Development :: Libraries :: Python Modules",
        "Typing :: Typed",
    ],
    # Looks like a no-op, but makes the editable install work: setuptools puts the checkout on
    # sys.path, where twistd finds twisted/plugins, only if the key "" is the whole package_dir.
    # Otherwise it installs an import hook, and `twistd --help` does not list the plugin.
    package_dir={"": "."},
    # "twisted.plugins" is one file of ours inside a package of Twisted: it must never get an
    # __init__.py (tests/test_packaging.py).
    packages=[*find_packages(include=["twisted_sse", "twisted_sse.*"]), "twisted.plugins"],
    package_data={"twisted_sse": ["py.typed"], "twisted_sse.daemon": ["page/*", "page/*/*"]},
    entry_points={"console_scripts": ["twisted-sse = twisted_sse.cli:main"]},
    python_requires=">=3.10",
    install_requires=[
        "Twisted>=24.3",  # the oldest that `make check` runs the tests with
    ],
    extras_require={
        "hub": hub,
        "klein": klein,
        "metrics": metrics,
        "redis": redis,
        "tls": tls,
        "all": everything,
        "test": [
            *everything,
            "aiohttp-sse-client>=0.2.1",  # reads the stream of a device, as home automation does
            "aiosseclient>=0.1.8",  # the same
            "anthropic>=0.60",  # relays a model's answer through our streams to the browser
            "anyio>=4",  # task groups, which must be left in the task that entered them
            "celery>=5.4",  # publishes from a worker, in the code of the documentation
            "channels>=4.1",  # sends event streams from Django, which a page replaces by ours
            "coverage[toml]>=7.6",  # finds lines and branches that no test runs
            "daphne>=4.1",  # its server, for comparison
            "datastar-py>=1",  # makes events for Datastar, in an example
            "django>=4.2",  # publishes when a transaction is committed, in the same code
            "fastapi>=0.115",  # publishes in a background task, in the same code
            "Flask-SSE>=1",  # streams by Redis, which ours replace on a page
            "flask>=3",  # publishes from a route, in the same code
            "h11>=0.14",  # parses our responses strictly as HTTP/1.1
            "httpx-sse>=0.4",  # reads our streams in the tests of real clients
            "httpx>=0.27",  # an independent client, used by httpx-sse
            "hypothesis>=6.100",  # tests properties of the format and the parser
            "mcp>=2",  # calls tools of our example, and resumes after cuts
            "mercure-publisher>=0.1",  # publishes to the hub, as an independent client
            "openai>=1.40",  # asks for JSON and reads a stream; its streams are relayed, too
            "pytest-twisted>=1.14.3",  # the first that runs every kind of coroutine test
            "pytest>=8.2",  # one of the two runners; trial is in Twisted
            "pyyaml>=6",  # reads the Kubernetes manifest, to test it
            "redis>=5",  # adds to streams and carries Celery's tasks, in the same code
            "requests>=2.31",  # publishes, in the code of the documentation
            "selenium>=4.20",  # drives Chromium, the browser of the tests
            "sniffio>=1.3",  # tells libraries which event loop they run in
            "sse-starlette>=2.1",  # streams from Starlette, which a page replaces by ours
            "treq>=24.9",  # in-memory requests to Klein, real ones in the live tests
            "uvicorn>=0.30",  # runs FastAPI and Starlette
            "websocket-client>=1.8",  # drives Firefox by WebDriver BiDi; selenium uses it, too
        ],
        "docs": [
            *hub,  # the API is imported to be described
            *klein,
            *metrics,
            *redis,
            "furo>=2024.8",  # the theme of the pages
            "mypy>=1.13",  # checks the code of the pages, and the examples
            "mypy-zope>=1.0.9",  # the same, for users of the plugin
            "myst-parser>=4",  # the pages are Markdown, as README is
            "pydoctor>=24.11",  # reads the docstrings, which are epytext
            "pyright[nodejs]>=1.1.400",  # checks the code, too; with the Node.js that it needs
            "sphinx>=7.4",  # builds the pages
            "sphinx-copybutton>=0.5.2",  # copies a command without its prompt
            "sphinx-reredirects>=1",  # keeps the addresses that pages had before
            "towncrier>=24.8",  # makes CHANGELOG.md from newsfragments/
        ],
        "bench": [
            "aiohttp-sse-client>=0.2.1",  # clients and parsers to compare ours with
            "httpx>=0.27",
            "httpx-sse>=0.4",
            "launchdarkly-eventsource>=1.2",
            "sseclient-py>=1.8",
        ],
        "dev": [
            "build>=1.2",  # wheel and sdist, as a release makes them
            "mypy>=1.13",  # --strict
            "mypy-zope>=1.0.9",  # teaches mypy zope.interface
            "pypiserver>=2.3",  # the index for trying a release
            "ruff>=0.9",  # lints and formats
            "twine>=6",  # checks the description of a release, and uploads it
        ],
    },
)
