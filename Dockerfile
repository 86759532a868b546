# Containers of the same bundles that are deployed and tested elsewhere. Build the bundles first: make bundles
#
#   docker build --target function --tag tickercast-function .     the forecast function, for Cloud Run
#   docker build --target aws      --tag tickercast-aws      .     the forecast function, for AWS Lambda
#   docker build --target worker   --tag tickercast-worker   .     runs the daily flow for a Prefect server
#   docker build --target mlflow   --tag tickercast-mlflow   .     the MLflow server, which asks for a password
#   docker build --target dashboard --tag tickercast-dashboard .   the dashboard, behind a login
#   docker build --target api      --tag tickercast-api      .     the HTTP API
ARG PYTHON=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

FROM ${PYTHON} AS installer
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /bundle
COPY requirements-uv.txt ./
RUN python -m pip install --no-cache-dir --require-hashes --requirement requirements-uv.txt \
 && uv venv /opt/venv
# Compiled to bytecode here: a read-only container would compile again at each start.
ENV VIRTUAL_ENV=/opt/venv UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1

FROM installer AS function-build
COPY dist/function ./
RUN uv pip install --require-hashes --requirement requirements.txt

FROM installer AS aws-build
COPY dist/aws ./
RUN uv pip install --require-hashes --requirement requirements.txt

FROM installer AS worker-build
COPY dist/worker ./
RUN uv pip install --require-hashes --requirement requirements.txt

FROM installer AS mlflow-build
COPY dist/mlflow ./
RUN uv pip install --require-hashes --requirement requirements.txt

FROM installer AS dashboard-build
COPY dist/dashboard ./
RUN uv pip install --require-hashes --requirement requirements.txt

FROM installer AS api-build
COPY dist/api ./
RUN uv pip install --require-hashes --requirement requirements.txt

FROM ${PYTHON} AS base
RUN useradd --create-home --uid 1000 tickercast && install --directory --owner=1000 --group=1000 /data
COPY deploy/healthy.py /opt/healthy.py
USER 1000
WORKDIR /home/tickercast
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 DO_NOT_TRACK=true

FROM base AS function
COPY --from=function-build /opt/venv /opt/venv
COPY dist/function/main.py ./
ENV PORT=8080 FUNCTION_TARGET=forecast FUNCTION_SIGNATURE_TYPE=cloudevent
EXPOSE 8080
HEALTHCHECK --start-period=30s CMD ["python", "/opt/healthy.py", "http://127.0.0.1:8080/"]
CMD ["functions-framework"]

# Lambda runs it as a user of its own, on a read-only disk.
FROM base AS aws
COPY --from=aws-build /opt/venv /opt/venv
WORKDIR /opt/function
COPY dist/aws/main.py dist/aws/google.jso[n] ./
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["main.handler"]

FROM base AS worker
COPY --from=worker-build /opt/venv /opt/venv
COPY dist/worker/flows flows
COPY dist/worker/prefect.yam[l] ./
ENV PREFECT_SERVER_ANALYTICS_ENABLED=false MLFLOW_DISABLE_TELEMETRY=true HOME=/home/tickercast FLOW_FOLDER=/home/tickercast
EXPOSE 8081
# The worker's own check, which fails if it has not polled its pool for a while.
HEALTHCHECK --start-period=60s CMD ["python", "/opt/healthy.py", "http://127.0.0.1:8081/health"]
# What a server of this image allows: its own pages alone, and writes with a token of its own. compose.yaml adds the login.
ENV PREFECT_SERVER_CSRF_PROTECTION_ENABLED=true PREFECT_SERVER_CORS_ALLOWED_ORIGINS=http://127.0.0.1:4200
ENV PREFECT_WORKER_WEBSERVER_HOST=127.0.0.1 PREFECT_WORKER_WEBSERVER_PORT=8081
CMD ["prefect", "worker", "start", "--pool", "tickercast", "--type", "process", "--with-healthcheck"]

FROM base AS mlflow
COPY --from=mlflow-build /opt/venv /opt/venv
COPY --chmod=755 deploy/mlflow-server.sh /opt/mlflow-server.sh
ENV MLFLOW_DISABLE_TELEMETRY=true
EXPOSE 5000
HEALTHCHECK --start-period=60s CMD ["python", "/opt/healthy.py", "http://127.0.0.1:5000/health"]
CMD ["/opt/mlflow-server.sh"]

FROM base AS dashboard
COPY --from=dashboard-build /opt/venv /opt/venv
EXPOSE 8501
HEALTHCHECK --start-period=30s CMD ["python", "/opt/healthy.py", "http://127.0.0.1:8501/_stcore/health"]
CMD ["tickercast", "dashboard", "--host", "0.0.0.0", "--port", "8501"]

FROM base AS api
COPY --from=api-build /opt/venv /opt/venv
EXPOSE 8080
HEALTHCHECK --start-period=30s CMD ["python", "/opt/healthy.py", "http://127.0.0.1:8080/healthz"]
CMD ["tickercast", "serve", "--host", "0.0.0.0", "--port", "8080"]
