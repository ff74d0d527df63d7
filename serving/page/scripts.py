"""The page's functions in the browser: JavaScript that Gradio takes as text."""

ASK_WHY = """element.addEventListener('click', event => {
  const button = event.target.closest('[data-why]');
  if (button) trigger('select', {index: Number(button.dataset.why)});
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
