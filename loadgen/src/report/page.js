// Reads a chart out under it: with the pointer, or with the arrow keys while it has the focus.
for (const svg of document.querySelectorAll('svg[role=img]')) {
  const hits = [...svg.querySelectorAll('.hit')];
  const out = svg.closest('figure').querySelector('.readout');
  let at = -1;
  const show = n => {
    hits[at]?.classList.remove('on');
    at = Math.max(0, Math.min(hits.length - 1, n));
    hits[at]?.classList.add('on');
    out.textContent = hits[at]?.querySelector('title').textContent ?? '';
  };
  hits.forEach((hit, n) => hit.addEventListener('pointerenter', () => show(n)));
  svg.addEventListener('keydown', e => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: hits.length - 1 }[e.key];
    if (to !== undefined) { e.preventDefault(); show(to); }
  });
}
