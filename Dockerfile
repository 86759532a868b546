# The forecast function as a container: the same file, wheel and pins that run on a laptop.
# Build: docker build --tag tickercast-function .
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements-uv.txt requirements.txt ./
RUN python -m pip install --no-cache-dir --require-hashes --requirement requirements-uv.txt \
 && uv venv /opt/venv \
 && uv pip install --python /opt/venv/bin/python --no-cache --compile-bytecode --require-hashes --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY sql sql
COPY cloud_function cloud_function
RUN uv pip install --python /opt/venv/bin/python --no-cache --compile-bytecode --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --create-home tickercast
COPY --from=build /opt/venv /opt/venv
COPY --chown=tickercast cloud_function /home/tickercast/cloud_function
USER tickercast
WORKDIR /home/tickercast
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PORT=8080
EXPOSE 8080
CMD ["functions-framework", "--source=cloud_function/main.py", "--target=forecast", "--signature-type=cloudevent"]
