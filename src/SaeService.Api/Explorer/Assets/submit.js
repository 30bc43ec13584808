// The form of a job, better: uploads by dragging, what a data set has, the estimate, and errors at their fields without a new page. Everything by the API's own calls.
const form = document.getElementById("job-form");
const byId = id => document.getElementById(id);
const keyBase = form.elements.idempotency_key.value;
let keys = 0, sent = false;

const count = n => n.toLocaleString("en-US");
const bytes = n => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    for (; n >= 1000 && unit < units.length - 1; unit++)
        n /= 1000;
    return `${n.toFixed(n < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
};
const duration = s => s < 1 ? "under a second" : s < 90 ? `${s.toFixed(0)} s` : s < 5400 ? `${(s / 60).toFixed(0)} min` : `${(s / 3600).toFixed(1)} h`;

/** An element with text, never markup: names and labels are others' words. */
function element(tag, text = "", of = {}) {
    const made = Object.assign(document.createElement(tag), of);
    made.textContent = text;
    return made;
}

async function call(address, options = {}) {
    try {
        const answer = await fetch(address, { ...options, headers: { accept: "application/json", ...options.headers } });
        const body = await answer.json().catch(() => null);
        return answer.ok ? { body } : { problem: body ?? { title: `The service answered ${answer.status}` } };
    } catch {
        return { problem: { title: "The service does not answer; try again" } };
    }
}

// --- the request: every field has its member's name

function layersOf(text) {
    if (text === "all")
        return "all";
    return text.split(/[\s,]+/).filter(part => part).flatMap(part => {
        const range = /^(\d{1,5})-(\d{1,5})$/.exec(part);
        if (range)
            return Array.from({ length: Math.max(0, range[2] - range[1] + 1) }, (_, i) => Number(range[1]) + i);
        return [/^\d{1,9}$/.test(part) ? Number(part) : part];
    });
}

function requestOf() {
    const request = {};
    for (const field of form.elements) {
        const kind = field.dataset?.kind, text = field.value?.trim();
        if (!kind || !text || ((field.type === "checkbox" || field.type === "radio") && !field.checked))
            continue;
        const path = field.name.split(".");
        const name = path.pop();
        const place = path.reduce((at, step) => at[step] ??= {}, request);
        if (kind === "list")
            (place[name] ??= []).push(...text.split(",").map(x => x.trim()).filter(x => x));
        else
            // What is no number goes as it is: the service says what it must be.
            place[name] = kind === "flag" ? true : kind === "layers" ? layersOf(text) : kind === "whole" && /^-?\d{1,15}$/.test(text) ? Number(text) : text;
    }
    return request;
}

// --- problems, at their fields

const fieldOf = path => path.replace(/^\$\./, "").split("[")[0];
const controlOf = name => byId("f-" + name.replaceAll(/[._]/g, "-"));

function clearProblem() {
    byId("form-problem").hidden = true;
    for (const error of form.querySelectorAll("[data-error-for]")) {
        error.textContent = "";
        controlOf(error.dataset.errorFor)?.removeAttribute("aria-invalid");
    }
}

function showProblem(problem, focus) {
    clearProblem();
    const box = byId("form-problem");
    const list = document.createElement("ul");
    let first = null;
    for (const [path, messages] of Object.entries(problem.errors ?? {})) {
        const name = fieldOf(path), text = messages.join("; ");
        const error = form.querySelector(`[data-error-for="${CSS.escape(name)}"]`), control = controlOf(name);
        const item = list.appendChild(document.createElement("li"));
        if (error && control) {
            error.textContent = error.textContent ? `${error.textContent}; ${text}` : text;
            control.setAttribute("aria-invalid", "true");
            if (control.closest("details"))
                control.closest("details").open = true;
            if (!first || control.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING)
                first = control;
            item.append(element("a", name, { href: "#" + control.id }), " " + text);
        } else
            item.append(element("code", path), " " + text);
    }
    box.replaceChildren(element("strong", problem.title + ". "), list.children.length ? list : problem.detail ?? "");
    box.hidden = false;
    if (focus)
        (first ?? box).focus();
}

// --- the estimate

let estimating = 0;

async function estimate(focus) {
    const request = requestOf(), box = byId("estimate"), turn = ++estimating;
    if (!request.model?.id || !request.dataset?.id)
        return focus ? void form.reportValidity() : undefined;
    box.className = "note";
    box.textContent = "Estimating…";
    box.hidden = false;
    const { body, problem } = await call("/v1/jobs/estimate", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request) });
    if (turn !== estimating)
        return;
    if (problem) {
        box.hidden = true;
        showProblem(problem, focus);
        return;
    }
    clearProblem();
    const e = body.estimate, limits = body.limits;
    const lines = [];
    if (e.reason)
        lines.push(element("p", `Not known yet: ${e.reason}.`));
    else {
        lines.push(element("p", `About ${duration(e.seconds)} on one worker, at most ${bytes(e.memory_bytes)} of memory and ${bytes(e.disk_bytes)} of disk; ${count(e.tokens)} tokens, ${body.request.layers.length} layers.`));
        const parts = Object.entries(e.parts.seconds).filter(([, s]) => s >= 1).sort((a, b) => b[1] - a[1]).map(([stage, s]) => `${stage} ${duration(s)}`).join(", ");
        const may = [limits.memory_bytes && `${bytes(limits.memory_bytes)} of memory`, limits.disk_bytes && `${bytes(limits.disk_bytes)} of disk`].filter(x => x).join(" and ");
        lines.push(element("p", `${parts ? `By stage: ${parts}. ` : ""}${may ? `A job may use ${may}. ` : ""}${Object.keys(e.pace).length ? "Times follow this service's own jobs." : "Times are those of two quiet cores until a job has finished here."}`, { className: "quiet" }));
    }
    if (body.refusal) {
        box.className = "note bad";
        lines.unshift(element("p", `The job would be refused: ${body.refusal}.`));
    }
    box.replaceChildren(...lines);
}

let timer;
// What is half typed is not asked about: the field says when it is done.
form.addEventListener("input", () => clearTimeout(timer));
form.addEventListener("change", event => {
    if (event.target.dataset?.kind) {
        clearTimeout(timer);
        timer = setTimeout(() => estimate(false), 500);
    }
});
byId("ask-estimate").hidden = false;
byId("ask-estimate").addEventListener("click", () => { clearTimeout(timer); estimate(true); });

// Leaving a field is a press elsewhere; what is pressed must not move away before it is released, or it is not clicked.
let pressed = false, waiting = [];
const whenReleased = then => () => pressed ? void waiting.push(then) : then();
addEventListener("pointerdown", () => { pressed = true; }, true);
for (const end of ["pointerup", "pointercancel"])
    addEventListener(end, () => {
        pressed = false;
        for (const then of waiting.splice(0))
            setTimeout(then);
    }, true);

// --- what a model and a data set have

const addressOf = (kind, id) => `/v1/${kind}/${id.split("/").map(encodeURIComponent).join("/")}`;

async function understandModel() {
    const id = form.elements["model.id"].value.trim(), said = byId("model-understood");
    said.textContent = "";
    if (!id)
        return;
    const { body } = await call(addressOf("models", id));
    if (form.elements["model.id"].value.trim() !== id)
        return;
    said.textContent = body ? `${body.family}: layers 0 to ${body.layers}, width ${body.d_model}, ${count(body.parameters)} parameters.${body.usable ? "" : ` It can not be used: ${body.problem}`}`
        : "Not here; if it is an id of the hub, it is looked up for the estimate and fetched when the job starts.";
}

async function understandDataset() {
    const id = form.elements["dataset.id"].value.trim(), said = byId("dataset-said");
    said.textContent = id ? "Reading…" : "";
    byId("dataset-understood").replaceChildren();
    if (!id)
        return;
    const { body, problem } = await call(addressOf("datasets", id));
    if (form.elements["dataset.id"].value.trim() !== id)
        return;
    if (body)
        showDataset(body);
    else
        said.textContent = problem.detail ?? problem.title;
}

function showDataset(dataset) {
    // One line at the field; the rest, whose length nobody knows, below the buttons.
    const parts = [];
    byId("dataset-said").textContent = (dataset.title ? dataset.title + ": " : "")
        + (dataset.fetched ? `${count(dataset.sentences)} sentences, ${count(dataset.words)} words, ${count(dataset.documents)} documents (${dataset.format}).` : "not here yet; the first job that names it fetches it.")
        + (dataset.licence ? ` Licence: ${dataset.licence}.` : "");
    for (const warning of dataset.warnings)
        parts.push(element("p", "Note: " + warning, { className: "note" }));
    for (const task of dataset.tasks) {
        const details = document.createElement("details");
        const labels = Object.entries(task.labels).sort((a, b) => b[1] - a[1]);
        details.append(element("summary", `${task.task}: ${labels.length} labels on ${count(task.labelled)} words`));
        const list = details.appendChild(element("p"));
        for (const [label, n] of labels.slice(0, 60))
            list.append(element("span", `${label} ${count(n)}`, { className: "chip" }), " ");
        if (labels.length > 60)
            list.append(`and ${labels.length - 60} more`);
        parts.push(details);
    }
    byId("dataset-understood").replaceChildren(...(parts.length ? [element("h3", "What is in the data set")] : []), ...parts);
    byId("splits").replaceChildren(...[...dataset.splits, ...(dataset.splits.includes("dev") && dataset.splits.includes("test") ? ["dev+test"] : [])].map(x => element("option", "", { value: x })));
    showTasks(dataset);
}

function showTasks(dataset) {
    const names = dataset.tasks.length ? dataset.tasks.map(t => [t.task, `${Object.keys(t.labels).length} labels`]) : (dataset.declared_tasks ?? []).map(t => [t, ""]);
    if (!names.length && !dataset.further_tasks.length)
        return;
    const ticked = new Set([...form.querySelectorAll("#task-choices input:checked")].map(x => x.value));
    const choice = ([task, what]) => {
        const label = document.createElement("label");
        const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "tasks", value: task, checked: ticked.has(task) });
        box.dataset.kind = "list";
        label.append(box, ` ${task}${what ? ` (${what})` : ""}`);
        return label;
    };
    const choices = names.map(choice);
    if (dataset.further_tasks.length) {
        const more = document.createElement("details");
        more.append(element("summary", `${dataset.further_tasks.length} further columns`), ...dataset.further_tasks.map(t => choice([t.task, `${t.labels} labels${t.built_in ? ", a control made of the words" : ""}`])));
        more.className = "choices";
        choices.push(more);
    }
    byId("task-choices").replaceChildren(...choices);
}

form.elements["model.id"].addEventListener("change", whenReleased(understandModel));
form.elements["dataset.id"].addEventListener("change", whenReleased(understandDataset));
if (form.elements["model.id"].value)
    understandModel();
if (form.elements["dataset.id"].value)
    understandDataset();

// --- uploads

const drop = byId("upload"), progress = byId("upload-progress"), said = byId("upload-said");
drop.hidden = false;
for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]])
    drop.addEventListener(name, event => {
        event.preventDefault();
        drop.classList.toggle("over", over);
    });
drop.addEventListener("drop", event => upload(event.dataTransfer.files));
byId("upload-file").addEventListener("change", event => upload(event.target.files));

/** As the service takes names; the ending stays, which tells the format. */
const nameOf = file => file.name.replace(/\.(gz|zst)$/i, "").replaceAll(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(-100) || "upload";

function upload(files) {
    if (files.length !== 1) {
        said.textContent = "One file at a time.";
        return;
    }
    const file = files[0], name = nameOf(file);
    // fetch does not say how much has gone.
    const request = new XMLHttpRequest();
    request.open("PUT", addressOf("datasets", name));
    request.setRequestHeader("accept", "application/json");
    request.setRequestHeader("content-type", "application/octet-stream");
    progress.hidden = false;
    progress.value = 0;
    said.textContent = `Uploading ${file.name}, ${bytes(file.size)}…`;
    request.upload.addEventListener("progress", event => { if (event.lengthComputable) progress.value = event.loaded / event.total; });
    request.upload.addEventListener("load", () => {
        said.textContent = "Reading it…";
        progress.removeAttribute("value");
    });
    request.addEventListener("loadend", () => {
        progress.hidden = true;
        byId("upload-file").value = "";
        let body = null;
        try {
            body = JSON.parse(request.responseText);
        } catch {
            // Told below.
        }
        if (request.status !== 200 && request.status !== 201) {
            said.textContent = `Not taken: ${body?.detail ?? body?.title ?? "the service does not answer"}`;
            return;
        }
        said.textContent = `Uploaded as ${body.id}.`;
        form.elements["dataset.id"].value = body.id;
        showDataset(body);
        edited();
        estimate(false);
    });
    request.send(file);
}

// --- sending

function edited() {
    // After an answer another body needs another key; until then the same form is the same job, however often it is sent.
    if (sent) {
        sent = false;
        keys++;
    }
}
form.addEventListener("input", edited);

form.addEventListener("submit", async event => {
    event.preventDefault();
    const button = byId("submit");
    if (button.disabled)
        return;
    button.disabled = true;
    const body = JSON.stringify(requestOf());
    const send = () => call("/v1/jobs", { method: "POST", headers: { "content-type": "application/json", "idempotency-key": `${keyBase}-${keys}` }, body });
    let answer = await send();
    for (let again = 0; answer.problem?.code === "idempotency_key_in_flight" && again < 10; again++) {
        await new Promise(done => setTimeout(done, 1000));
        answer = await send();
    }
    if (answer.problem) {
        button.disabled = false;
        sent = answer.problem.status !== undefined;
        showProblem(answer.problem, true);
    } else {
        sent = true;
        button.disabled = false;
        location.assign(answer.body.urls.explorer);
    }
});
