"""Serves the page of `aigc play` on this machine alone."""

import threading
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from aigc.core.errors import ConfigError
from aigc.playground.model import Playground
from aigc.playground.page import Page

HOST = "127.0.0.1"
LARGEST_UPLOAD = "32mb"
STYLE = Path(__file__).with_name("style.css")
SYSTEM_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
CODE_FONTS = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]
# The browser asks no other server for anything, whatever the page says.
POLICY = (b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
          b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
          b"connect-src 'self' data: blob:; worker-src 'self' blob:; frame-ancestors 'none'; "
          b"base-uri 'self'; form-action 'none'")


class Policy:
    """Adds the policy for content to every answer of the server (ASGI middleware)."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY)]
            await send(message)
        await self.app(scope, receive, send_with_policy)


def serve(play: Playground, folder: Path, port: int, opens: bool) -> int:
    """Serve the page on this machine alone until Ctrl-C. folder: for uploads and zips, emptied by the caller.

    Raises ConfigError when the port cannot be had.
    """
    page = Page(play, folder).build()
    theme = gr.themes.Default(primary_hue="sky", font=SYSTEM_FONTS, font_mono=CODE_FONTS)
    try:
        _, address, _ = page.launch(
            server_name=HOST, server_port=port, inbrowser=opens, prevent_thread_lock=True, quiet=True,
            share=False, show_error=False, allowed_paths=[], blocked_paths=[str(Path.cwd())],
            max_file_size=LARGEST_UPLOAD, footer_links=[], run_history=False, enable_monitoring=False,
            ssr_mode=False, pwa=False, mcp_server=False, theme=theme, css_paths=STYLE,
            app_kwargs={"middleware": [Middleware(Policy)], "docs_url": None, "redoc_url": None})
    except OSError:
        raise ConfigError(f"--port {port}: in use, or not allowed; name another") from None
    print(f"play at\n  {address}\nCtrl-C ends it.", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    finally:
        page.close(verbose=False)
    return 0
