
const form = document.querySelector('form'), store = 'kapelle-blind-' + form.dataset.test;
const radios = () => [...form.querySelectorAll('input[type=radio]')];
const questions = [...new Set(radios().map(radio => radio.name))];
const listener = form.querySelector('#listener'), status = document.querySelector('[role=status]');
let nameless = '';

function answers() {
  const out = {};
  for (const radio of radios()) if (radio.checked) out[radio.name] = radio.value;
  return out;
}
function keep() {
  const given = answers();
  const kept = JSON.stringify({listener: listener.value, nameless, answers: given});
  try { localStorage.setItem(store, kept); } catch (error) { /* told by the page */ }
  status.textContent = Object.keys(given).length + ' of ' + questions.length + ' questions answered';
}
function restore() {
  let kept = null;
  try { kept = JSON.parse(localStorage.getItem(store)); } catch (error) { kept = null; }
  listener.value = (kept && typeof kept.listener === 'string') ? kept.listener : '';
  // who gives no name gets one: two of them are not to count as one
  nameless = (kept && typeof kept.nameless === 'string') ? kept.nameless : 'anonymous-' + Math.random().toString(36).slice(2, 10);
  const given = (kept && kept.answers) || {};
  for (const radio of radios()) radio.checked = given[radio.name] === radio.value;
}
// a name that begins as a formula would be one in a spreadsheet
const quoted = text => '"' + String(text).replace(/^(?=[=+\-@])/, "'").replaceAll('"', '""') + '"';
function table() {
  const lines = ['test,listener,kind,item,question,answer'], given = answers();
  for (const name of questions) if (name in given) {
    const [kind, item, question] = name.split(':');
    lines.push([form.dataset.test, listener.value.trim() || nameless, kind, item, question, given[name]].map(quoted).join(','));
  }
  return lines.join('\r\n') + '\r\n';
}
form.addEventListener('input', keep);
form.addEventListener('submit', event => event.preventDefault());
document.querySelector('#save').addEventListener('click', () => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([table()], {type: 'text/csv'}));
  link.download = 'answers-' + form.dataset.test + '.csv';
  document.body.append(link); link.click(); link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
document.querySelector('#clear').addEventListener('click', () => {
  if (!confirm('Forget all answers on this page?')) return;
  try { localStorage.removeItem(store); } catch (error) { /* nothing was kept */ }
  restore(); keep();
});
restore(); keep();
