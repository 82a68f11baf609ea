// Learned words as buttons that write themselves into the prompt, where its cursor is.
"use strict";
const row = element.querySelector(".chips");
const field = () => document.querySelector("#guidance-prompt textarea");

function insert(word) {
  const box = field();
  const start = box.selectionStart ?? box.value.length, end = box.selectionEnd ?? start;
  const before = box.value.slice(0, start), after = box.value.slice(end);
  const text = (before && !/\s$/.test(before) ? " " : "") + word + (after && !/^[\s,.]/.test(after) ? " " : "");
  box.value = before + text + after;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  box.focus();
  box.setSelectionRange(start + text.length, start + text.length);
}

function update() {
  row.hidden = !(props.value || []).length;
  row.replaceChildren(...(props.value || []).map(word => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word;
    button.title = "Write " + word + " into the prompt";
    button.addEventListener("click", () => insert(word));
    return button;
  }));
}
watch("value", update);
update();
