"""The API server measured: reads, lists, creates and watches over HTTP, beside a bare aiohttp echo in the same run."""
