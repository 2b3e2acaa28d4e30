"""Whether pusat kendali runs for days: `python -m benchmarks.soak --minutes 30`.

A small deployment (the desa of Cianjur, five stores) is served as people serve it, `satudata serve` with
two workers, and watched by a real Chromium through a line that we can cut. Each round an upstream brings
new and revised earthquakes, which are harvested and answered as the scheduler does it, warnings are
replaced, and the page must show what is new. Meanwhile:

* the line is reset, goes silent, or the browser is offline; other clients come, and vanish without a word;
* the upstream fails and comes back; old versions are pruned; a worker is killed, and the server restarted
  (in the last 40 % of the run, so that the first processes live long enough to be judged);
* the screen's page is frozen; a second page, a laptop, sleeps for hours with its clock standing still.

What stays is sampled: JavaScript heap after collection, DOM nodes, listeners, memory of the browser's and
the server's processes, descriptors, threads, connections held, seconds until a change shows. The run ends
with a line fitted to each (`trend`) and fails when something grew for certain by more than is
allowed, or when a change did not show within two minutes. Light by design: a round a second or two.
"""
