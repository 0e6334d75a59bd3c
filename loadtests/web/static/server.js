// Requests to the server that sent this page, and its errors as sentences.

const PATIENCE_MS = 20000;

export async function ask(path, values = null) {
  const order = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values) };
  let response;
  try {
    response = await fetch(path, { ...(values && order), signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    throw new Error("Locust does not answer; is it still running?");
  }
  const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
  if (!isJson) throw new Error("Locust answers with a page instead of data; log in again, then reload");
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `Locust answers with status ${response.status}`);
  return answer;
}
