// Draws the OpenAPI document of this gateway and lets one try its operations from the same origin.
// All text is set as text, never as markup.
"use strict";

const root = new URL(document.currentScript.src).pathname.replace(/\/page\.js$/, "");

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function target(path, fields) {
  const query = new URLSearchParams();
  let filled = path;
  for (const { where, name, input } of fields) {
    if (where === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (where === "query" && input.value) query.append(name, input.value);
  }
  const text = query.toString();
  return text ? `${filled}?${text}` : filled;
}

function snippets(method, url) {
  const curl = `curl -X ${method} -H "Authorization: Bearer $KEY" '${url}'`;
  const script = `await fetch("${url}", { method: "${method}", headers: { Authorization: \`Bearer \${key}\` } })`;
  const python = `requests.request("${method}", "${url}", headers={"Authorization": f"Bearer {key}"})`;
  return `# cURL\n${curl}\n\n# JavaScript\n${script}\n\n# Python\n${python}`;
}

function operation(path, method, described) {
  const box = element("details", "", element("summary", "", element("code", `${method.toUpperCase()} ${path}`), ` ${described.summary}`));
  box.append(element("p", described.description || ""));
  const fields = (described.parameters || []).map((parameter) => {
    const input = element("input");
    box.append(element("label", "", `${parameter.name} (${parameter.in}) `, input));
    return { where: parameter.in, name: parameter.name, input };
  });
  const code = element("pre");
  const answer = element("pre");
  const show = () => { code.textContent = snippets(method.toUpperCase(), location.origin + target(path, fields)); };
  fields.forEach(({ input }) => input.addEventListener("input", show));
  const button = element("button", "Send");
  button.addEventListener("click", async () => {
    const headers = { Authorization: `Bearer ${document.getElementById("key").value}` };
    fields.filter(({ where, input }) => where === "header" && input.value).forEach(({ name, input }) => { headers[name] = input.value; });
    try {
      const response = await fetch(target(path, fields), { method: method.toUpperCase(), headers });
      answer.textContent = `${response.status}\n${await response.text()}`;
    } catch (error) {
      answer.textContent = String(error);
    }
  });
  show();
  box.append(code, button, answer);
  return box;
}

fetch(`${root}/openapi.json`).then((response) => response.json()).then((document_) => {
  const list = document.getElementById("operations");
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const [method, described] of Object.entries(item)) list.append(operation(path, method, described));
  }
});
