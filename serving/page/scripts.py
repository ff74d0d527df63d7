"""The page's functions in the browser: JavaScript that Gradio takes as text."""

ASK_WHY = """element.addEventListener('click', event => {
  const button = event.target.closest('[data-why]');
  if (button) trigger('select', {index: Number(button.dataset.why)});
});"""

# Click and keys label turns. The visitor's place is kept here while the server renders
# the turns anew, unless it asks for a jump.
ANNOTATE = """const rows = () => [...element.querySelectorAll('[data-turn]')];
const current = () => element.querySelector('[aria-current]');
const press = id => document.querySelector(id)?.click();
let at = null, ours = false;
const go = row => {
  if (!row) return;
  for (const one of rows()) {
    one.tabIndex = one === row ? 0 : -1;
    if (one === row) one.setAttribute('aria-current', 'true');
    else one.removeAttribute('aria-current');
  }
  at = row.dataset.turn;
  ours = true;
  row.focus({preventScroll: true});
  row.scrollIntoView({block: 'nearest'});
};
const give = (row, label) => {
  if (!row) return;
  trigger('select', {index: Number(row.dataset.turn), label});
  const next = row.nextElementSibling;
  go(label >= 0 && next && !row.closest('[data-least]') ? next : row);
};
const nextDisagreement = () => {
  const after = rows(), from = after.indexOf(current());
  const differs = row => row.querySelector('.emo-differs');
  go(after.slice(from + 1).find(differs) ?? after.find(differs));
};
element.addEventListener('click', event => {
  const row = event.target.closest('[data-turn]'), button = event.target.closest('[data-label]');
  if (button) give(row, Number(button.dataset.label));
  else go(row);
});
document.addEventListener('focusin', event => { if (!element.contains(event.target)) ours = false; });
document.addEventListener('keydown', event => {
  const target = event.target, inside = element.contains(target), row = current();
  if (!element.isConnected || element.offsetParent === null || !row) return;
  if (!inside && target.closest('input, textarea, select, [contenteditable], [role=tab], summary')) return;
  const undo = (event.ctrlKey || event.metaKey) && event.key === 'z';
  if ((event.ctrlKey || event.metaKey || event.altKey) && !undo) return;
  const button = target.closest('button, a');
  const keys = {
    ArrowDown: () => go(row.nextElementSibling), ArrowUp: () => go(row.previousElementSibling),
    Home: () => go(rows()[0]), End: () => go(rows().at(-1)),
    Delete: () => give(row, -1), Backspace: () => give(row, -1),
    u: () => press('#annotate-undo'), z: () => press('#annotate-undo'),
    n: () => press('#annotate-least'), d: nextDisagreement,
  };
  if (!button) keys.Enter = () => give(row, Number(row.dataset.shown));
  let act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (/^[0-9]$/.test(event.key)) {
    const label = row.querySelector(`[data-label="${(Number(event.key) + 9) % 10}"]`);
    act = label && (() => give(row, Number(label.dataset.label)));
  }
  if (!act || (event.key === 'z' && !undo)) return;
  event.preventDefault();
  if (!event.repeat || event.key.startsWith('Arrow')) act();
});
new MutationObserver(() => {
  const list = element.querySelector('.emo-annotation'), jumps = list?.hasAttribute('data-jump');
  const row = (!jumps && rows().find(one => one.dataset.turn === at)) || current();
  list?.removeAttribute('data-jump');
  const focused = document.activeElement, moved = row !== current() || (ours && !row?.contains(focused));
  if (!row || !(jumps || moved) || element.offsetParent === null) return;
  if (!focused?.closest('input:not([type=checkbox]), textarea')) go(row);
}).observe(element, {childList: true, subtree: true, attributeFilter: ['aria-current', 'data-jump']});
window.addEventListener('beforeunload', event => {
  if (element.isConnected && element.querySelector('[data-unsaved]')) event.preventDefault();
});"""

# Go on typing, with the newest turn in sight.
FOCUS_CHAT = """() => setTimeout(() => {
  document.querySelector('#chat-text textarea, #chat-text input')?.focus();
  document.querySelector('#chat-timeline .emo-scroll')?.scrollTo(1e6, 0);
}, 50)"""

# The upload event carries the file: its name, its size, and its content in base64 unless
# it is too large.
READ_FILE = """const input = element.querySelector('input');
input.addEventListener('change', () => {
  const file = input.files[0];
  if (!file) return;
  const send = content => trigger('upload', {name: file.name, size: file.size, content});
  if (file.size > Number(input.dataset.largest)) send(null);
  else {
    const reader = new FileReader();
    reader.onload = () => send(reader.result.split(',')[1] ?? '');
    reader.onerror = () => send(null);
    reader.readAsDataURL(file);
  }
  input.value = '';
});"""

# Save what `downloads.parcel` packed as a file, once.
SAVE_PARCEL = """parcel => {
  if (!parcel) return '';
  const {name, type, content} = JSON.parse(parcel);
  const bytes = Uint8Array.from(atob(content), character => character.charCodeAt(0));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  return '';
}"""
